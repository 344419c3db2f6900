"""The bank end of the fabric: the controller's keys, its enrolment, and its link to the server."""
