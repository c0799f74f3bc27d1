"""A storm of kills: workers under load die by SIGKILL, again and again, and every job must be done all the same."""
