"""What people and programs read: functions of records that never fit and never fetch."""
