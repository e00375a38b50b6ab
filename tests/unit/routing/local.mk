# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += \
	tests/unit/routing/test_jq_hazards \
	tests/unit/routing/test_topic_filter
tests_unit_routing_test_jq_hazards_SOURCES = tests/unit/routing/test_jq_hazards.c
tests_unit_routing_test_jq_hazards_LDADD = $(TEST_LIBS)
tests_unit_routing_test_topic_filter_SOURCES = tests/unit/routing/test_topic_filter.c
tests_unit_routing_test_topic_filter_LDADD = $(TEST_LIBS)
