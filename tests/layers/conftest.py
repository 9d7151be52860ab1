"""The other package must not be on the import path of all tests, so pytest does not collect it."""

collect_ignore = ["other_package"]
