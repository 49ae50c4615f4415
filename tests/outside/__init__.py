"""From outside: real processes that are killed, stopped and cut off; what counts is what a DNS client reads."""
