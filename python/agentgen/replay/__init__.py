"""Replaying a trace against OpenAI-compatible servers.

Modules in the order of the data flow:

- Options: `settings`, `values` (parsing of their values).
- Before the run: `prepare` uses `server_info` (models and cache counters of servers, which `fetch` gets), `preflight`
  (checks that everything fits), `tokenizer_words` and `trace_validity`. `dry_run_text` prints the result.
- Run: `run` plays a prepared replay and writes its run directory. `split` makes one `job` per worker process,
  `supervise` starts the processes and follows them, `crash_recovery` accounts for the requests of dead ones.
- Worker: `worker` plays its `job` in an `event_loop`. `scheduler` opens sessions through `admission` under a `load`;
  `request_cycle` sends their requests by the `rules`, under `request_deadlines`, which are queues of `deadlines`.
  `active_sessions` holds their state.
- Network: `pool` chooses a server for each session, `sticky_connection` is the session's connection,
  `server_connections` holds those of one server, `http` speaks HTTP/1.1.
- Records: `request_log` counts in `counters` and writes `records`; `progress` shows the counters.
- Results: `figures` (`Summary`, `Comparison`), `summary_text`, `compare_text`.

The scheduler knows the network, the clock and the compiled module only through `protocols`.
"""
