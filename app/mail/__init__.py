"""E-mail about schedules: settings, passwords, the text of a digest, and its delivery by SMTP."""
