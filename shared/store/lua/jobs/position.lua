-- Where a job stands. ARGV: id, tenant. Answers nil when it is not queued.
return position(ARGV[1], ARGV[2])
