"""A page that shows a lab live: its packets, its tables, and forms that do what commands do."""
