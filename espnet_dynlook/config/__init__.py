# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Configurations: resolved from their base, and checked before anything is built."""

from espnet_dynlook.config.check import check, check_options, check_values
from espnet_dynlook.config.errors import ConfigError
from espnet_dynlook.config.files import (
    has_base,
    resolve,
    split_config,
    temporary_yaml,
    write_resolved,
)

__all__ = [
    "ConfigError",
    "check",
    "check_options",
    "check_values",
    "has_base",
    "resolve",
    "split_config",
    "temporary_yaml",
    "write_resolved",
]
