"""What all pages and the API share: the application, its security headers, problems, readiness."""
