"""Whether what was written computes what it was made of."""
