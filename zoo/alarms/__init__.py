"""Live alarms: what is read from a run, when a signal has left its habits, which alarms that makes ring.

One thing, one file: `observe` reads signals (on `fixed` inputs, with `diversity` and `spectrum`), `change` decides what
has changed, `reading` puts both together, `named` holds the alarms, `healthy` the way back, `records` the files. The
callback is `zoo.callbacks.Alarms`.
"""

from zoo.alarms.named import ALARMS, alarm
from zoo.alarms.reading import Reading

__all__ = ["ALARMS", "Reading", "alarm"]
