"""What is wrong with a configuration."""


class ConfigError(ValueError):
    """A configuration has a wrong key or value; says which, where, and what is near."""
