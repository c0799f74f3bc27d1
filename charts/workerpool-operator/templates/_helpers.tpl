{{- /* Names are fixed, not made from the release: there is one operator to a cluster, as there is one CRD. */ -}}
{{- define "workerpool.name" -}}workerpool-operator{{- end }}
{{- define "workerpool.streamService" -}}workerpool-operator-stream{{- end }}
{{- define "workerpool.metricsService" -}}workerpool-operator-external-metrics{{- end }}

{{- /* The user's, cert-manager's (of another name, so that the chart's own may go when one is chosen), or the chart's. */ -}}
{{- define "workerpool.tlsSecret" -}}
{{- if .Values.tls.existingSecret -}}
{{ .Values.tls.existingSecret }}
{{- else if .Values.tls.certManager.enabled -}}
workerpool-operator-issued
{{- else -}}
workerpool-operator-tls
{{- end -}}
{{- end }}

{{- /* The names that the certificate is for, as a list in YAML. */ -}}
{{- define "workerpool.tlsNames" -}}
{{- $stream := printf "%s.%s.svc" (include "workerpool.streamService" .) .Release.Namespace }}
{{- list $stream (printf "%s.cluster.local" $stream) (printf "%s.%s.svc" (include "workerpool.metricsService" .) .Release.Namespace) | toYaml }}
{{- end }}

{{- define "workerpool.selectorLabels" -}}
app.kubernetes.io/name: workerpool-operator
app.kubernetes.io/component: operator
{{- end }}

{{- define "workerpool.testLabels" -}}
app.kubernetes.io/name: workerpool-operator-test
app.kubernetes.io/component: test
{{- end }}

{{- define "workerpool.labels" -}}
{{ include "workerpool.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Annotations of what `helm test` makes; the argument is the place in its order. */ -}}
{{- define "workerpool.testHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "workerpool.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* A map of labels as name=value,name=value. */ -}}
{{- define "workerpool.pairs" -}}
{{- $pairs := list }}
{{- range $name, $value := . }}
{{- $pairs = append $pairs (printf "%s=%v" $name $value) }}
{{- end }}
{{- join "," $pairs }}
{{- end }}

{{- /* The names in a list of references, as name,name. */ -}}
{{- define "workerpool.names" -}}
{{- $names := list }}
{{- range . }}
{{- $names = append $names .name }}
{{- end }}
{{- join "," $names }}
{{- end }}

{{- /*
The CA and the certificate of the chart's own making, as .Values.tls.own: looked up, or else made, once for a rendering,
since the Secret and the APIService have to tell of the same.
*/ -}}
{{- define "workerpool.ownTLS" -}}
{{- if not (hasKey .Values.tls "own") }}
{{- $secret := include "workerpool.tlsSecret" . }}
{{- $metrics := printf "%s.%s.svc" (include "workerpool.metricsService" .) .Release.Namespace }}
{{- $own := dict }}
{{- $kept := lookup "v1" "Secret" .Release.Namespace $secret }}
{{- if and $kept (index ($kept.data | default dict) "tls.key") }}
{{- $names := index ($kept.metadata.annotations | default dict) "workerpool.dev/dns-names" | default "" }}
{{- if and .Values.externalMetrics.enabled (not (has $metrics (splitList "," $names))) }}
{{- fail (printf "the certificate in Secret %s is from an older chart and not for %s: delete the Secret and upgrade again, so that a new one is made; collectors connect again within some minutes" $secret $metrics) }}
{{- end }}
{{- $own = dict "names" $names "data" (pick $kept.data "ca.crt" "tls.crt" "tls.key") }}
{{- else }}
{{- $stream := printf "%s.%s.svc" (include "workerpool.streamService" .) .Release.Namespace }}
{{- $names := include "workerpool.tlsNames" . | fromYamlArray }}
{{- $ca := genCA "workerpool-operator" 3650 }}
{{- $pair := genSignedCert $stream nil $names 3650 $ca }}
{{- $data := dict "ca.crt" ($ca.Cert | b64enc) "tls.crt" ($pair.Cert | b64enc) "tls.key" ($pair.Key | b64enc) }}
{{- $own = dict "names" (join "," $names) "data" $data }}
{{- end }}
{{- $_ := set .Values.tls "own" $own }}
{{- end }}
{{- end }}

{{- /*
"true" if there are to be monitors, else empty. `auto` asks the cluster for the two kinds of the prometheus-operator; tools
that only render do not know the cluster, so there it has to be said.
*/ -}}
{{- define "workerpool.monitored" -}}
{{- $kinds := .Capabilities.APIVersions }}
{{- $served := and ($kinds.Has "monitoring.coreos.com/v1/PodMonitor") ($kinds.Has "monitoring.coreos.com/v1/ServiceMonitor") }}
{{- if or (eq (toString .Values.monitoring.enabled) "true") (and (eq (toString .Values.monitoring.enabled) "auto") $served) -}}
true
{{- end }}
{{- end }}
