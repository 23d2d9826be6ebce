"""`python -m microfaas`, where the command is not on the path."""

from microfaas.cli import main

main(prog_name="microfaas")
