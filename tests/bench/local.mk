# SPDX-License-Identifier: Apache-2.0
EXTRA_PROGRAMS += tests/bench/bench_routing
tests_bench_bench_routing_SOURCES = \
	tests/bench/bench_routing.c \
	tests/unit/routing/a_config.c \
	tests/unit/routing/a_config.h
tests_bench_bench_routing_LDADD = $(LINKSPAN_LIBS)
