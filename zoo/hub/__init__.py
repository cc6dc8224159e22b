"""Pretrained models: load by name, verify, upload, and convert weights of other libraries."""

from zoo.hub.converting import convert
from zoo.hub.loading import from_pretrained, pretrained
from zoo.hub.pushing import push
from zoo.hub.verifying import verify
from zoo.releases.audited import attach

__all__ = ["attach", "convert", "from_pretrained", "pretrained", "push", "verify"]
