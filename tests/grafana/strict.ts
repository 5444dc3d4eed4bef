// What generated files may hold, as strict as Grafana's own types allow: its panels leave options and
// queries open, here each kind of panel names those of its plugin. Files of provisioning have no
// official types; these are from their documentation.

import type {
  Dashboard as AnyDashboard,
  FieldColor,
  FieldConfig,
  Panel as AnyPanel,
  RowPanel as AnyRow,
  VariableModel,
} from "@grafana/schema";
import type {
  FieldConfig as TimeSeriesField,
  Options as TimeSeriesOptions,
} from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type {
  FieldConfig as TableField,
  Options as TableOptions,
} from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";

/** The type as it stands in JSON, where members of an enumeration are texts. */
type Json<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends readonly (infer Item)[] ? Json<Item>[]
  : T extends object ? { [Key in keyof T]: Json<T[Key]> }
  : T;

interface DataSource {
  type: "grafana-postgresql-datasource";
  uid: string;
}

/** The six fields of the query of a data source that speaks SQL. */
interface Query<Format> {
  refId: string;
  datasource: DataSource;
  editorMode: "code";
  format: Format;
  rawQuery: true;
  rawSql: string;
}

type Override<Field> = {
  matcher: { id: "byName" | "byRegexp"; options: string };
  properties: (
    | { id: "color"; value: Json<FieldColor> }
    | { [Key in keyof Field & string]-?: { id: `custom.${Key}`; value: Json<NonNullable<Field[Key]>> } }[keyof Field & string]
  )[];
};

type Panel<Type, Format, Field, Options> = Json<Omit<AnyPanel, "type" | "datasource" | "targets" | "fieldConfig" | "options">> & {
  type: Type;
  id: number;
  datasource: DataSource;
  targets: Query<Format>[];
  fieldConfig: {
    defaults: Json<Omit<FieldConfig, "custom">> & { custom?: Json<Field> };
    overrides: Override<Field>[];
  };
  options: Json<Options>;
};

type TimeSeries = Panel<"timeseries", "time_series", TimeSeriesField, TimeSeriesOptions>;
/** Whoever leaves out how cells look gets those of the plugin. */
type Table = Panel<"table", "table", Pick<TableField, "align" | "cellOptions" | "filterable" | "inspect">, TableOptions>;
type Row = Json<Omit<AnyRow, "panels">> & { panels: (TimeSeries | Table)[] };

export type Dashboard = Json<Omit<AnyDashboard, "panels" | "templating" | "annotations">> & {
  uid: string;
  panels: (TimeSeries | Table | Row)[];
  templating: { list: Json<VariableModel>[] };
  annotations: { list: never[] };
};

export interface DataSources {
  apiVersion: 1;
  datasources: {
    name: string;
    uid: string;
    type: DataSource["type"];
    access: "proxy";
    url: string;
    user: string;
    secureJsonData: { password: `$${string}` };
    jsonData: {
      database: string;
      sslmode: "disable" | "require" | "verify-ca" | "verify-full";
      postgresVersion: number;
      timeInterval: string;
    };
    editable: boolean;
  }[];
}

export interface Providers {
  apiVersion: 1;
  providers: {
    name: string;
    type: "file";
    disableDeletion: boolean;
    allowUiUpdates: boolean;
    updateIntervalSeconds: number;
    options: { path: string; foldersFromFilesStructure: true };
  }[];
}

interface RelativeTimeRange {
  from: number;
  to: number;
}

export interface Alerts {
  apiVersion: 1;
  groups: {
    orgId: number;
    folder: string;
    name: string;
    interval: string;
    rules: {
      uid: string;
      title: string;
      condition: string;
      for: string;
      noDataState: "NoData" | "Alerting" | "OK";
      execErrState: "Error" | "Alerting" | "OK";
      isPaused: boolean;
      dashboardUid?: string;
      panelId?: number;
      labels: Record<string, string>;
      annotations: Record<string, string>;
      data: (
        | {
          refId: string;
          datasourceUid: string;
          relativeTimeRange: RelativeTimeRange;
          model: Query<"table"> & { intervalMs: number; maxDataPoints: number };
        }
        | {
          refId: string;
          datasourceUid: "__expr__";
          relativeTimeRange: RelativeTimeRange;
          model: {
            refId: string;
            datasource: { type: "__expr__"; uid: "__expr__" };
            type: "threshold";
            expression: string;
            conditions: { evaluator: { type: "lt" | "gt"; params: [number] } }[];
          };
        }
      )[];
    }[];
  }[];
}
