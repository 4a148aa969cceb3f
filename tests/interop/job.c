/* A client that keeps its servers in a job, as some do on Windows: job.exe (close|breakaway) PROGRAM [ARGUMENTS...]
 * starts the program inside a job that ends with this process. With `breakaway`, processes may leave the job. */
#include <windows.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **words) {
    static char line[32768];
    STARTUPINFOA startup = {.cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION started;
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
    DWORD code = 1;
    HANDLE job = CreateJobObjectA(NULL, NULL);
    if (count < 3 || !job) return 2;
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    if (!strcmp(words[1], "breakaway")) limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_BREAKAWAY_OK;
    if (!SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits)) return 3;
    for (int at = 2; at < count; at++) {
        strcat(line, at > 2 ? " \"" : "\"");
        strcat(line, words[at]);
        strcat(line, "\"");
    }
    startup.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
    startup.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
    startup.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, NULL, &startup, &started)) return 4;
    if (!AssignProcessToJobObject(job, started.hProcess)) return 5;
    ResumeThread(started.hThread);
    WaitForSingleObject(started.hProcess, INFINITE);
    GetExitCodeProcess(started.hProcess, &code);
    return (int)code;
}
