# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	connectors/http/http.c \
	connectors/http/http.h \
	connectors/http/in.c \
	connectors/http/in.h \
	connectors/http/out.c \
	connectors/http/out.h \
	connectors/http/settings.c \
	connectors/http/settings.h
