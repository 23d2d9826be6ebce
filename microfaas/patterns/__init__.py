"""Patterns of events: EventBridge's, SNS's filter policies, and filters of event source mappings.

Pure: text and plain data in, yes or no out. These three are one language, compiled by `compiled`
from the operators in `operators`; `policies` and `filters` say what it is applied to. CloudWatch's
filter patterns are another, in `log_filters`.
"""

from __future__ import annotations

from microfaas.patterns.compiled import Pattern, compile_pattern
from microfaas.patterns.faults import InvalidPattern
from microfaas.patterns.filters import Filters, compile_filters
from microfaas.patterns.log_filters import LogFilter, compile_log_filter
from microfaas.patterns.policies import Policy, compile_policy

__all__ = [
    "Filters",
    "InvalidPattern",
    "LogFilter",
    "Pattern",
    "Policy",
    "compile_filters",
    "compile_log_filter",
    "compile_pattern",
    "compile_policy",
]
