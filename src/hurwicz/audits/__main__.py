"""``python -m hurwicz.audits`` prints the table of payment rules with the finding behind every cell; ``--speed`` measures this machine."""

from __future__ import annotations

import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m hurwicz.audits", description=__doc__)
    parser.add_argument("--speed", action="store_true", help="checks per second of exhaustive audits, on an idle machine")
    parser.add_argument("--repeats", type=int, default=5, help="audits of each size")
    arguments = parser.parse_args()
    if arguments.speed:
        from hurwicz.audits.speed import print_speed

        print_speed(repeats=arguments.repeats)
    else:
        from hurwicz.audits.payment_table import payment_table, payment_table_markdown

        print(payment_table_markdown(payment_table()))
