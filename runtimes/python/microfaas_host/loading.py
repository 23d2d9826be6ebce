"""Importing the function's module and finding its handler, with Lambda's names for the faults."""

import importlib
import sys

from microfaas_host.errors import InitFault, stack_of, text_of


def load(handler_name):
    """The handler named `module.function` (slashes allowed in the module). Raises InitFault."""
    module_name, dot, function_name = handler_name.rpartition(".")
    if not dot or not module_name or not function_name:
        raise InitFault(
            "Runtime.MalformedHandlerName",
            "Bad handler '{}': not enough values to unpack (expected 2, got 1)".format(
                handler_name
            ),
        )
    module = _import(module_name.replace("/", "."))
    try:
        return getattr(module, function_name)
    except AttributeError:
        message = "Handler '{}' missing on module '{}'".format(function_name, module_name)
        raise InitFault("Runtime.HandlerNotFound", message) from None


def _import(name):
    if name.split(".")[0] in sys.builtin_module_names:
        message = "Cannot use built-in module {} as a handler module".format(name)
        raise InitFault("Runtime.BuiltInModuleConflict", message)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        message = "Unable to import module '{}': {}".format(name, text_of(error))
        raise InitFault("Runtime.ImportModuleError", message, stack_of(error)) from None
    except SyntaxError as error:
        message = "Syntax error in module '{}': {}".format(name, error)
        line = '  File "{}" Line {}\n    {}'.format(
            error.filename, error.lineno, (error.text or "").strip()
        )
        raise InitFault("Runtime.UserCodeSyntaxError", message, [line]) from None
    except Exception as error:
        raise InitFault(type(error).__name__, text_of(error), stack_of(error)) from None
