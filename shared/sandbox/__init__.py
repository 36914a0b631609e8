"""Child processes that open files of strangers: limited in time and memory, killed and replaced.

Gateway and worker have their own; the code is the same under gevent and in threads.
"""
