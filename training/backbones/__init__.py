"""Networks of others: opened by name, with what they take and the pipeline of their own library."""
