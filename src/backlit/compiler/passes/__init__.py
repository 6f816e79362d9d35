"""The passes: functions from `Graph` to `Graph` that leave what is computed as it was, and make it cheaper."""
