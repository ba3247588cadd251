"""Names: the list given at request time, and what it needs to be recognised."""

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.entries import CatalogError, Entry

__all__ = ["Catalog", "CatalogError", "Entry"]
