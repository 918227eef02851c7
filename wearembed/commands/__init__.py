"""What the command line does, a file each command: ``run(args)`` does the work and gives an `Outcome`."""
