"""C.6: a real PPO (stable-baselines3) on the paper's C.2 problem, boxed in time, with every sample counted.

One joint policy chooses all N actions at once; an episode is one choice; the reward is minus the global loss. That is
the most generous form the task has for reinforcement learning: no credit assignment over time, no partial view.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy.typing import NDArray

from hurwicz._foundation import FloatArray, InputError, MissingExtraError

_ENDLESS = 2**40  # samples; the box closes long before


@dataclass(frozen=True)
class PPOSettings:
    """What was tuned, printed with every run.

    Attributes:
        environments: episodes gathered side by side.
        rollout: episodes a side gathers between two updates.
        batch: minibatch of an update.
        epochs: passes over a rollout.
        learning_rate: Adam's step at the start; falls geometrically to ``learning_rate_end``.
        learning_rate_end: Adam's step after ``horizon`` samples.
        log_std: logarithm of the policy's first standard deviation.
        log_std_end: the standard deviation is brought down to this after ``horizon`` samples (``None``: left to PPO).
        horizon: samples over which both schedules run; constant afterwards.
        clip: PPO's clipping range.
        network: hidden layers of the policy; none by default: the observation is constant, so that a bias is all that there is to learn.
        value_weight: weight of the value function's loss; 0 by default, since normalised advantages need no baseline here.
        discount: gamma; episodes have one step, so that it cannot matter.
        gradient_norm: clipping of the gradient.
    """

    environments: int = 512
    rollout: int = 1
    batch: int = 512
    epochs: int = 4
    learning_rate: float = 3e-3
    learning_rate_end: float = 2e-5
    log_std: float = -3.5
    log_std_end: float | None = -7.0
    horizon: int = 300_000
    clip: float = 0.2
    network: tuple[int, ...] = ()
    value_weight: float = 0.0
    discount: float = 0.0
    gradient_norm: float = 1e9


LIBRARY_DEFAULTS = PPOSettings(
    environments=1,
    rollout=2048,
    batch=64,
    epochs=10,
    learning_rate=3e-4,
    learning_rate_end=3e-4,
    log_std=0.0,
    log_std_end=None,
    network=(64, 64),
    value_weight=0.5,
    discount=0.99,
    gradient_norm=0.5,
)
"""Stable-baselines3's own defaults for PPO."""


@dataclass(frozen=True)
class PPORun:
    """What a boxed run reached.

    Attributes:
        samples: evaluations of the loss that PPO paid for.
        seconds: wall-clock of the training alone.
        loss: L at the policy's mean action when the box closed.
        best_loss: the lowest L that any update's mean action had.
        samples_to_gap: samples when L first came within ``gap`` of the optimum; ``None`` if never.
        seconds_to_gap: the same in seconds.
        below: agents whose mean action lies below the clamp at 0 when the box closes.
        curve: samples, seconds and L of the mean action at each update.
    """

    samples: int
    seconds: float
    loss: float
    best_loss: float
    samples_to_gap: int | None
    seconds_to_gap: float | None
    below: int
    curve: Float64[FloatArray, "updates 3"]


def installed() -> bool:
    """True where stable-baselines3 can be imported."""
    return importlib.util.find_spec("stable_baselines3") is not None


def joint_loss(x: Float64[FloatArray, "*batch agents"], target: float, weight: float) -> Float64[FloatArray, "*batch"]:
    """L = (sum_i x_i - Y)² + lambda sum_i x_i², over the last axis."""
    return np.asarray(np.square(x.sum(axis=-1) - target) + weight * np.square(x).sum(axis=-1))


def _environment(agents: int, target: float, weight: float, copies: int) -> Any:
    """A stable-baselines3 VecEnv of one-choice episodes; action a in [-1, 1]^N stands for x = 1 + a in [0, 2]^N, the paper's range."""
    from gymnasium import spaces
    from stable_baselines3.common.vec_env import VecEnv

    class JointChoice(VecEnv):  # type: ignore[misc]
        """Every step ends an episode; the observation is constant, since nothing changes between episodes."""

        def __init__(self) -> None:
            super().__init__(copies, spaces.Box(-1.0, 1.0, (1,), np.float32), spaces.Box(-1.0, 1.0, (agents,), np.float32))
            self._observation = np.ones((copies, 1), np.float32)
            self._actions: Float64[FloatArray, "copies agents"] = np.zeros((copies, agents))

        def reset(self) -> Float32[NDArray[np.float32], "copies 1"]:
            return self._observation.copy()

        def step_async(self, actions: Float32[NDArray[np.float32], "copies agents"]) -> None:
            self._actions = np.asarray(actions, np.float64)

        def step_wait(
            self,
        ) -> tuple[
            Float32[NDArray[np.float32], "copies 1"],
            Float32[NDArray[np.float32], "copies"],
            Bool[NDArray[np.bool_], "copies"],
            list[dict[str, Any]],
        ]:
            reward = -joint_loss(1.0 + self._actions, target, weight)
            infos: list[dict[str, Any]] = [{} for _ in range(copies)]
            return self._observation.copy(), reward.astype(np.float32), np.ones(copies, bool), infos

        def close(self) -> None:
            return None

        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:  # noqa: ARG002
            return [getattr(self, attr_name, None)] * copies

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:  # noqa: ARG002
            setattr(self, attr_name, value)

        def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:  # noqa: ARG002
            return [getattr(self, method_name)(*args, **kwargs)] * copies

        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:  # noqa: ARG002
            return [False] * copies

    return JointChoice()


def train(
    seconds: float,
    *,
    agents: int = 100,
    target: float = 10.0,
    weight: float = 0.1,
    gap: float = 1e-3,
    start: Float64[FloatArray, "agents"] | None = None,
    seed: int = 0,
    settings: PPOSettings | None = None,
    stop_at_gap: bool = False,
    progress: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> PPORun:
    """Train PPO on min (sum x - Y)² + lambda sum x², x in [0, 2]^N, until ``seconds`` are spent.

    The policy is a diagonal Gaussian over all N actions. L at the mean action is looked at after every update, outside of the
    clock; those looks are not counted as samples, which favours PPO.

    Args:
        seconds: the time box, > 0.
        agents: N.
        target: Y.
        weight: lambda.
        gap: relative excess over the optimum that counts as solved.
        start: the first policy's mean action, shape (N,); the library's own start (all 1, a symmetric point) if omitted.
        seed: of the policy, the samples and the minibatches.
        settings: what is tuned.
        stop_at_gap: stop the clock at the first update inside ``gap``.
        progress: told the loss now and then.
        clock: seconds since some moment; what the time box is measured with.

    Raises:
        MissingExtraError: stable-baselines3 is not installed.
        InputError: a time box that is not positive.
    """
    if not seconds > 0:
        raise InputError(f"seconds: expected a time box > 0, got {seconds}")
    if start is not None and settings is not None and settings.network:
        raise InputError("start: a policy with hidden layers starts where its weights put it; leave start out or network empty")
    if not installed():
        raise MissingExtraError("PPO needs stable-baselines3: pip install 'hurwicz[bench]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peers' deprecations are theirs
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the network is tiny; two threads on a shared machine made it ten times slower
        try:
            return _train(seconds, agents, target, weight, gap, start, seed, settings or PPOSettings(), stop_at_gap, progress, clock)
        finally:
            torch.set_num_threads(threads)


def _train(
    seconds: float,
    agents: int,
    target: float,
    weight: float,
    gap: float,
    start: Float64[FloatArray, "agents"] | None,
    seed: int,
    tuned: PPOSettings,
    stop_at_gap: bool,
    progress: Callable[[str], None] | None,
    clock: Callable[[], float],
) -> PPORun:
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback

    optimum = weight * target**2 / (agents + weight)
    rows: list[tuple[float, float, float]] = []
    below = [0]
    clocked = {"start": clock(), "looking": 0.0}

    def spent() -> float:
        return clock() - clocked["start"] - clocked["looking"]

    class Watch(BaseCallback):  # type: ignore[misc]
        """Looks at the mean action at the start of every rollout, moves the schedules and stops at the box."""

        def __init__(self) -> None:
            super().__init__()
            self.done = False

        def _on_rollout_start(self) -> None:
            now = spent()
            look = clock()
            with torch.no_grad():
                mean = self.model.policy.get_distribution(torch.ones(1, 1)).distribution.mean.numpy()[0]
                share = min(self.num_timesteps / tuned.horizon, 1.0)
                if tuned.log_std_end is not None:
                    self.model.policy.log_std.fill_(tuned.log_std + share * (tuned.log_std_end - tuned.log_std))
            reached = float(joint_loss(1.0 + np.clip(np.asarray(mean, np.float64), -1.0, 1.0), target, weight))
            below[0] = int(np.count_nonzero(mean < -1.0))
            rows.append((float(self.num_timesteps), now, reached))
            if progress is not None and len(rows) % 50 == 1:
                progress(f"PPO: {self.num_timesteps:,} samples, {now:.0f} s, L = {reached:.4g}")
            self.done = now >= seconds or (stop_at_gap and reached <= (1 + gap) * optimum)
            clocked["looking"] += clock() - look

        def _on_step(self) -> bool:
            return not self.done

    def rate(remaining: float | int) -> float:
        share = min((1.0 - remaining) * _ENDLESS / tuned.horizon, 1.0)
        return float(tuned.learning_rate * (tuned.learning_rate_end / tuned.learning_rate) ** share)

    environment = _environment(agents, target, weight, tuned.environments)
    model = PPO(
        "MlpPolicy",
        environment,
        learning_rate=rate,
        n_steps=tuned.rollout,
        batch_size=tuned.batch,
        n_epochs=tuned.epochs,
        gamma=tuned.discount,
        clip_range=tuned.clip,
        vf_coef=tuned.value_weight,
        max_grad_norm=tuned.gradient_norm,
        seed=seed,
        device="cpu",
        policy_kwargs={"net_arch": list(tuned.network), "log_std_init": tuned.log_std},
    )
    if start is not None:
        with torch.no_grad():  # the observation is the constant 1: weight + bias is the mean action
            model.policy.action_net.weight.zero_()
            model.policy.action_net.bias.copy_(torch.as_tensor(np.asarray(start, np.float32) - 1.0))
    clocked["start"], clocked["looking"] = clock(), 0.0
    model.learn(total_timesteps=_ENDLESS, callback=Watch())
    curve = np.asarray(rows)
    inside = np.flatnonzero(curve[:, 2] <= (1 + gap) * optimum)
    first = int(inside[0]) if inside.size else None
    return PPORun(
        samples=int(curve[-1, 0]),
        seconds=float(curve[-1, 1]),
        loss=float(curve[-1, 2]),
        best_loss=float(curve[:, 2].min()),
        samples_to_gap=None if first is None else int(curve[first, 0]),
        seconds_to_gap=None if first is None else float(curve[first, 1]),
        below=below[0],
        curve=curve,
    )
