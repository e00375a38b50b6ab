# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/coap/test_path
tests_unit_coap_test_path_SOURCES = tests/unit/coap/test_path.c
tests_unit_coap_test_path_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/coap/test_content_format
tests_unit_coap_test_content_format_SOURCES = tests/unit/coap/test_content_format.c
tests_unit_coap_test_content_format_LDADD = $(TEST_LIBS)
