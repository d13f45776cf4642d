"""What the tests share: the server under test, waiting, recorded writes, a live Django site."""
