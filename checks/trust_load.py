def load(args, verdict):
    pass
