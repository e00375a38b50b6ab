# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/aggregate/test_aggregate
tests_unit_aggregate_test_aggregate_SOURCES = tests/unit/aggregate/test_aggregate.c tests/unit/aggregate/aggregate_rig.c \
	tests/unit/aggregate/aggregate_rig.h $(journal_rig)
tests_unit_aggregate_test_aggregate_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/aggregate/test_partial
tests_unit_aggregate_test_partial_SOURCES = tests/unit/aggregate/test_partial.c
tests_unit_aggregate_test_partial_LDADD = $(TEST_LIBS)
