"""Foundation-model encoders for wearable signals that behave like scikit-learn transformers."""

import lazy_loader

__version__ = "0.1.0"

# torch and scikit-learn take seconds: names of `__init__.pyi` are imported when they are asked for, and help is not.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
