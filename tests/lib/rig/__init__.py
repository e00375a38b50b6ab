# SPDX-License-Identifier: Apache-2.0
"""What the integration tests, the crash campaign and the examples share: real brokers, the real daemon, a proxy that
breaks links, and checkers that look at linkspan only from outside.

Everything here waits for an event with a deadline and never sleeps for a guessed time. Every process is started in a
temporary folder, on free ports of the loopback address, and dies with the test that started it.
"""
