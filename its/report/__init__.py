"""What people look at: figures, tables and the report of an experiment folder."""
