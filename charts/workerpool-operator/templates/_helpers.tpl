{{- /* Names are fixed, not made from the release: there is one operator to a cluster, as there is one CRD. */ -}}
{{- define "workerpool.name" -}}workerpool-operator{{- end }}
{{- define "workerpool.streamService" -}}workerpool-operator-stream{{- end }}
{{- define "workerpool.tlsSecret" -}}{{ .Values.tls.existingSecret | default "workerpool-operator-tls" }}{{- end }}

{{- define "workerpool.selectorLabels" -}}
app.kubernetes.io/name: workerpool-operator
app.kubernetes.io/component: operator
{{- end }}

{{- define "workerpool.labels" -}}
{{ include "workerpool.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
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
{{- $pairs = append $pairs (printf "%s=%s" $name $value) }}
{{- end }}
{{- join "," $pairs }}
{{- end }}
