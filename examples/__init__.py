"""Examples of what can be built on the library, run from a checkout."""
