# SPDX-License-Identifier: Apache-2.0
# Mirrors src/ and connectors/ file by file. One include per folder below.
noinst_LIBRARIES += libtesting.a
libtesting_a_SOURCES = tests/unit/tap.c tests/unit/tap.h

include $(srcdir)/tests/unit/kafka/local.mk
include $(srcdir)/tests/unit/admin/local.mk
include $(srcdir)/tests/unit/message/local.mk
include $(srcdir)/tests/unit/cli/local.mk
include $(srcdir)/tests/unit/runtime/local.mk
include $(srcdir)/tests/unit/config/local.mk
include $(srcdir)/tests/unit/routing/local.mk
include $(srcdir)/tests/unit/journal/local.mk
include $(srcdir)/tests/unit/lastvalue/local.mk
include $(srcdir)/tests/unit/delivery/local.mk
include $(srcdir)/tests/unit/aggregate/local.mk
include $(srcdir)/tests/unit/simulation/local.mk
include $(srcdir)/tests/unit/mqtt/local.mk
include $(srcdir)/tests/unit/common/local.mk
include $(srcdir)/tests/unit/http/local.mk
include $(srcdir)/tests/unit/coap/local.mk
