# SPDX-License-Identifier: Apache-2.0
# The connector conformance suite, and the fake host that unit tests of connectors use too.
noinst_LIBRARIES += libconformance.a
libconformance_a_SOURCES = \
	tests/conformance/fake_host.c \
	tests/conformance/fake_host.h \
	tests/conformance/kafka_tools.c \
	tests/conformance/kafka_tools.h
