# SPDX-License-Identifier: Apache-2.0
# What several connectors may include.
liblinkspan_a_SOURCES += \
	connectors/common/allowed_paths.c \
	connectors/common/allowed_paths.h \
	connectors/common/cloudevent.c \
	connectors/common/cloudevent.h \
	connectors/common/cloudevent_out.c \
	connectors/common/cloudevent_out.h \
	connectors/common/cloudevent_read.c \
	connectors/common/cloudevent_read.h \
	connectors/common/delivery_id.c \
	connectors/common/delivery_id.h \
	connectors/common/guard.c \
	connectors/common/guard.h \
	connectors/common/oauth.c \
	connectors/common/oauth.h \
	connectors/common/oauth_answer.c \
	connectors/common/oauth_fetch.c \
	connectors/common/oauth_fetch.h \
	connectors/common/oauth_settings.c \
	connectors/common/pem_files.c \
	connectors/common/pem_files.h \
	connectors/common/percent.c \
	connectors/common/percent.h \
	connectors/common/trust.c \
	connectors/common/trust.h
