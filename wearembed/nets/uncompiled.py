"""Functions that torch's compiler leaves alone."""

import torch

try:  # loads the compiler with the first call and not before, which saves a third of the time that an import takes
    from torch._compile import _disable_dynamo as uncompiled
except ImportError:  # it is torch's own, and may go
    uncompiled = torch.compiler.disable
