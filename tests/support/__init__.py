"""What tests share: real servers and processes, fakes of our own ports, examples of orders."""
