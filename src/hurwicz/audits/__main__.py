"""``python -m hurwicz.audits`` prints the table of payment rules with the finding behind every cell."""

from __future__ import annotations

from hurwicz.audits.payment_table import payment_table, payment_table_markdown

if __name__ == "__main__":
    print(payment_table_markdown(payment_table()))
