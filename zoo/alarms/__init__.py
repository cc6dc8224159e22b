"""Live alarms: signals of a run, detection of sudden changes in them, and the alarms that are then raised.

`observe` measures the signals (on `fixed` inputs, with `diversity` and `spectrum`), `change` detects changes of one
signal, `reading` combines both, `named` defines the alarms, `healthy` keeps checkpoints to roll back to, and `records`
writes the files. The callback is `zoo.callbacks.Alarms`.
"""

from zoo.alarms.named import ALARMS, alarm
from zoo.alarms.reading import Reading

__all__ = ["ALARMS", "Reading", "alarm"]
