# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/lastvalue/test_store
tests_unit_lastvalue_test_store_SOURCES = tests/unit/lastvalue/test_store.c
tests_unit_lastvalue_test_store_LDADD = $(TEST_LIBS)
