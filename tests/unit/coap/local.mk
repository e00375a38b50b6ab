# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/coap/test_path
tests_unit_coap_test_path_SOURCES = tests/unit/coap/test_path.c
tests_unit_coap_test_path_LDADD = $(TEST_LIBS)
