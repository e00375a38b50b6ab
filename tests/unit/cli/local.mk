# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/cli/test_message_json
tests_unit_cli_test_message_json_SOURCES = tests/unit/cli/test_message_json.c src/cli/message_json.c src/cli/message_json.h
tests_unit_cli_test_message_json_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/cli/test_page
tests_unit_cli_test_page_SOURCES = tests/unit/cli/test_page.c src/cli/page.c src/cli/page.h
tests_unit_cli_test_page_LDADD = $(TEST_LIBS)

