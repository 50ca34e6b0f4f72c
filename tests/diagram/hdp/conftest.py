from tests.probe.conftest import all_received

__all__ = ["all_received"]
