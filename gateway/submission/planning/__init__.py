"""What a job will cost before it is stored: its profile, its reader, its plan, an estimate."""
