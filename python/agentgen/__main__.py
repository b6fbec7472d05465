"""`python -m agentgen`."""

from agentgen.cli import main

if __name__ == "__main__":
    main()
