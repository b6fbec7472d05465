"""Without Data Designer this folder is no part of a test run; `make test-interop` has an environment for it."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("data_designer") else ["test_*.py"]
